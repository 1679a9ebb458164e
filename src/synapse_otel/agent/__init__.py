"""The agent: one process beside the plugins that ships their journals, and goes when there is nothing to do.

On the plugin's side is `shipper`, which asks for the agent and starts one where there is none (`starting`). On the
agent's side are `__main__`, `serve` (what it does all the time) and `fleet` (the journals that it ships). What both
know is in `place` (its files and lock), `bell` (how it is asked), `assignment` (what it is given) and `state`.
"""
