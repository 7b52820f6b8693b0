"""What is expected: silences, crossings of limits, lags, maintenance; each scored by what came of it."""
