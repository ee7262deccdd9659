"""One file per family of KPIs: descriptions, not procedures."""
