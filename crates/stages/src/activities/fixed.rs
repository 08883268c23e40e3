//! placeholder activities/fixed
