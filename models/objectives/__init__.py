"""What training minimises, as objects that recipes name."""
