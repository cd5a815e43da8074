"""The command line: parses, calls, prints. One file a group of verbs; no logic of its own."""
