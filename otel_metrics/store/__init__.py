"""The ground between the two wings: journal files, the SQLite tables and the way from one to the other."""
