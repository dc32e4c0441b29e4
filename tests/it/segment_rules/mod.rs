//! The rules of segments: random trees over every field and operator, held against an evaluator
//! written in the plainest way; errors with their paths; bounds; what react-querybuilder exports.

mod errors;
mod evaluator;
mod people;
mod random;
mod segments;
