"""Alembic environment and revisions of the raw schema; run through `llmops_ingest.schema`."""
