"""One module a revision, each safe to run again after it was killed half-way (MySQL commits every DDL by itself)."""
