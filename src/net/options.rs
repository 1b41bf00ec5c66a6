//! The options of a connection where no user gave any: Fluent Bit's defaults.

use crate::config::{Diagnostics, Location, NetOptions, Section, SectionKind, TlsOptions};

impl Default for NetOptions {
    fn default() -> Self {
        Self::read(&mut nothing(), &mut Diagnostics::new())
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self::read(&mut nothing(), &mut Diagnostics::new())
    }
}

/// A section without a single property.
fn nothing() -> Section {
    Section::new(SectionKind::Output, Location::command_line())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn defaults_are_fluent_bits() {
        let (net, tls) = (NetOptions::default(), TlsOptions::default());
        assert_eq!(net.connect_timeout, Duration::from_secs(10));
        assert_eq!(net.io_timeout, Duration::ZERO);
        assert_eq!(net.keepalive_idle_timeout, Duration::from_secs(30));
        assert_eq!((net.keepalive, net.keepalive_max_recycle), (true, 2000));
        assert_eq!((tls.tls, tls.verify, tls.verify_hostname), (false, true, false));
    }
}
