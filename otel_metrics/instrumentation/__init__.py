"""The room of the instrumentors: they trace bots of other people's frameworks, which are imported here alone."""
