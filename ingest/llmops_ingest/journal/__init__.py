"""The journal: records on local disk between the app that hands them over and the database that takes them.

    <root>/<destination>/            one folder for each raw store
        <journal>.<format>/          one folder for each process of an app, locked as long as that process lives
            00000001.log …           segments: lines that are only ever appended (`lines.py`)
            cursor                   how far the records are in the database

An app only appends (`appending.py`); whoever holds the destination's lock reads, advances the cursor, deletes what is
delivered (`reading.py`) and keeps the folder below its bound (`trimming.py`). Nothing here knows a database.
"""
