"""The doors to the outside: the command line and the demo; each asks the floors below and computes nothing itself."""
