//! The rules of segments: random trees over every field and operator, compared with a simple
//! evaluator; errors with their paths; bounds; exports of react-querybuilder.

mod errors;
mod evaluator;
mod people;
mod random;
mod segments;
