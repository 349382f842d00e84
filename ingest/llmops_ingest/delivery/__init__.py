"""The way from the journal to the database.

The app's process only has a thread that says when there is something to do (`courier.py`). The work is done by one
process for each raw store and machine (`writer.py`), which the courier starts when it is needed and which ends when it
is not: an app shares neither its interpreter nor its memory with a database driver.
"""
