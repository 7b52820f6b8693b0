"""The feed between the city and its districts (市区两级回流): who owns what, what goes out, what is equal."""
