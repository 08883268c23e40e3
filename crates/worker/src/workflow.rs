//! placeholder workflow/jerry
