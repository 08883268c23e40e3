//! placeholder activities/jerry
