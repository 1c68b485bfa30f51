"""A port for agents: the shops of a folder as tools of the Model Context Protocol (extra ``mcp``); no tool decides."""
