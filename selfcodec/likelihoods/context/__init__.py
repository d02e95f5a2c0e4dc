"""Pixels one by one in the context of their neighbours: order, what each sees, its mixture, its coder."""
