"""Price tests: plan a randomised test of two prices, schedule its blocks, and analyse what it measured."""
