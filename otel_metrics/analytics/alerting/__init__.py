"""Owns alerts: rules as data, what they measure, and the states that they are in."""
