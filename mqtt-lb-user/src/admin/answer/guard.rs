//! The answer to `show guard`.

use std::fmt::Write as _;

use super::Context;

/// SYNs by verdict, then the prefixes that sent most.
pub(super) fn answer(context: &Context, count: usize) -> Result<String, String> {
    let guard = context
        .guard
        .as_ref()
        .ok_or("the guard is off: set guard.rate in the configuration")?;
    let totals = guard.totals().named();
    let mut text = totals
        .map(|(name, count)| format!("{name}={count}"))
        .join(" ");
    text += "\n";
    let top = guard.top(count);
    if !top.is_empty() {
        let _ = writeln!(text, "{:<39} {:>12} {:>12}", "prefix", "passed", "dropped");
    }
    for one in top {
        let prefix = one.prefix.to_string();
        let _ = writeln!(text, "{prefix:<39} {:>12} {:>12}", one.passed, one.dropped);
    }
    Ok(text)
}
