//! Differences, guarantees, matrix and warnings claim to be exact. Brute force checks that.
mod bound;
mod bundles;
mod differences;
mod generate;
mod model;
mod patterns;
mod proofs;
mod tricky;
mod words;
