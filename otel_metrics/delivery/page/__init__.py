"""The live web page: what it shows, who may see it, and how it stays up to date; NiceGUI is loaded when `serve` runs."""
