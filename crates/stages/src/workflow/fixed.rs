//! placeholder workflow/fixed
