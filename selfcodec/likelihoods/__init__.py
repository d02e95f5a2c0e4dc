"""The families of distributions, one a file: how a variable of the schedule is coded and filled in."""
