"""The web face: thin views over the verbs, pages and fragments rendered on the server."""
