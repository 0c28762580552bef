"""What a person may ask for, and how long anything is kept."""
