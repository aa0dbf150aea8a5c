"""The commands that answer questions, one module for each subject."""
