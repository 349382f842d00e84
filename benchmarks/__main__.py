"""Run every benchmark, one after the other, and print its table: `python -m benchmarks`."""

from benchmarks import aicore, build, collector, load, percentiles, pricing, read

SECTIONS = {
    "Recording": collector,
    "Loading": load,
    "Reading": read,
    "AiCore": aicore,
    "Building": build,
    "Pricing": pricing,
    "Percentiles": percentiles,
}
for name, benchmark in SECTIONS.items():
    print(f"\n## {name}\n", flush=True)
    benchmark.main([])
