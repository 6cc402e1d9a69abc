//! The service from outside: through a real socket, the real binary and the real files.

mod support;

mod smoke;
