//! Which tokens of other issuers stand for which clients, and what is refused at load.

mod changes;
mod loading;
mod matching;
mod model;
mod taken_over;
