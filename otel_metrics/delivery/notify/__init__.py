"""Owns bringing alerts to people: the looks at the rules, and the messages that follow from them."""
