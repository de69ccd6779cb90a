"""File formats that several sources read. None of these modules is a source."""
