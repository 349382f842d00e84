"""What the collector must survive: real processes and real servers, killed, stopped, frozen, filled up and damaged.

Each test prints what was sent and what is stored. `make test` runs a bounded form, `make chaos` a longer one.
"""
