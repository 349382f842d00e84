"""Side-by-side measurements, each runnable by one command; they measure and never pass or fail."""
