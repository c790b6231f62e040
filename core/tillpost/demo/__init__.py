"""What `tillpost demo` runs against a simulator.

Modules:

    scenarios   what a scenario is, and building blocks for the tables that plugins bring
    run         runs scenarios through a Till, and describes how they went
"""
