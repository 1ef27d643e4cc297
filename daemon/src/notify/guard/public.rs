//! Which addresses are anybody's.
//!
//! After IANA's registries of special-purpose addresses (RFC 6890), a little narrower where nobody
//! has a receiver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is not public of IPv4: a first address, and how many of its bits count.
const V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),            // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by the customers of a provider
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // what Azure serves its machines from
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, and what clouds serve their machines from
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

/// All that is public of IPv6 is in here: loopback, unique-local, link-local, multicast and mapped
/// IPv4 addresses are not.
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What of it is not.
const V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, benchmarking
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address in disguise
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// An IPv4 address behind NAT64 (RFC 6052), which is all that a network without IPv4 has of it.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address is one that anybody can reach.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) if within_v6(ip, NAT64) => {
            let [.., a, b, c, d] = ip.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(ip) => within_v6(ip, V6_GLOBAL) && !V6.iter().any(|range| within_v6(ip, *range)),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !V4.iter().any(|(first, bits)| {
        let differs = u32::from(ip) ^ u32::from(*first);
        differs.leading_zeros() >= *bits
    })
}

fn within_v6(ip: Ipv6Addr, (first, bits): (Ipv6Addr, u32)) -> bool {
    (u128::from(ip) ^ u128::from(first)).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(public: bool, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn what_is_nobodys_or_ours_alone_is_not_public() {
        check(false, &["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "127.0.0.1"]);
        check(false, &["100.64.0.1", "100.100.100.200", "100.127.255.255", "127.255.255.254"]);
        check(false, &["169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.1"]);
        check(false, &["192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1"]);
        check(false, &["198.19.255.255", "198.51.100.7", "203.0.113.9", "168.63.129.16"]);
        check(false, &["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"]);
        check(false, &["::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "100::1"]);
        check(false, &["fc00::1", "fdff::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"]);
        check(false, &["2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1"]);
        check(false, &["2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "4000::1"]);
        check(false, &["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8"]);
    }

    #[test]
    fn what_anybody_reaches_is_public() {
        check(true, &["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255"]);
        check(true, &["100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255"]);
        check(true, &["172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255"]);
        check(true, &["198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17"]);
        check(true, &["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1", "2001:200::1"]);
        check(true, &["64:ff9b::8.8.8.8"]);
    }
}
