//! Whether what is claimed to be exact is: differences, guarantees, matrix and warnings, against brute force.
mod differences;
mod generate;
mod model;
mod proofs;
mod tricky;
mod words;
