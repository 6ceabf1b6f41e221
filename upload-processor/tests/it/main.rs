//! All integration tests of the upload processor, in one binary that links once.

mod images;
