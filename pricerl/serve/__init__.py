"""The shop in a browser and under ``/api``: a face of the commands, without a rule of its own (extra ``serve``)."""
