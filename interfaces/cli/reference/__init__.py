"""The reference of the command, made from the command itself: a page, schemas and manual pages."""
