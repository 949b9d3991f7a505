//! What git finds in a container.
