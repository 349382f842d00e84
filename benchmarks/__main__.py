"""Run every benchmark, one after the other, and print its table: `python -m benchmarks`."""

from benchmarks import aicore, build, load, read

for name, benchmark in (("Loading", load), ("Reading", read), ("AiCore", aicore), ("Building", build)):
    print(f"\n## {name}\n", flush=True)
    benchmark.main([])
