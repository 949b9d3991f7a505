//! What servers make of a path, each written as the plainest program would.

/// Takes one step that some server takes, chosen by a letter; other letters change nothing.
pub(crate) fn step(letter: u8, path: &[u8]) -> Vec<u8> {
    match letter {
        b'd' => decode(path, |_| true),
        b'u' => decode(path, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
        b's' => decode(path, |byte| byte != b'/'),
        b'm' => merge(path),
        b'r' => resolve(path),
        b'b' => path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect(),
        b'p' => each(path, |segment| before(segment, b';')),
        b'z' => before(path, 0),
        b'q' => before(before(path, b'?').as_slice(), b'#'),
        b'w' => each(path, |segment| match segment {
            b"." | b".." => segment.to_vec(),
            _ => trimmed(segment),
        }),
        b'c' => path.iter().copied().filter(|byte| !b"\t\r\n".contains(byte)).collect(),
        _ => path.to_vec(),
    }
}

fn decode(path: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if path[at] == b'%' && wanted(byte) => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for byte in path {
        if !(*byte == b'/' && out.last() == Some(&b'/')) {
            out.push(*byte);
        }
    }
    out
}

/// RFC 3986, section 5.2.4, with the buffers that it speaks of.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut input = path.to_vec();
    let mut output: Vec<u8> = Vec::new();
    let pop = |output: &mut Vec<u8>| {
        let cut = output.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        output.truncate(cut);
    };
    while !input.is_empty() {
        if input.starts_with(b"../") {
            input.drain(..3);
        } else if input.starts_with(b"./") || input.starts_with(b"/./") {
            input.drain(..2);
        } else if input == b"/." {
            input = b"/".to_vec();
        } else if input.starts_with(b"/../") {
            input.drain(..3);
            pop(&mut output);
        } else if input == b"/.." {
            input = b"/".to_vec();
            pop(&mut output);
        } else if input == b"." || input == b".." {
            input.clear();
        } else {
            let end =
                input[1..].iter().position(|byte| *byte == b'/').map_or(input.len(), |at| at + 1);
            output.extend(input.drain(..end));
        }
    }
    output
}

fn each(path: &[u8], map: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    path.split(|byte| *byte == b'/').map(map).collect::<Vec<_>>().join(&b'/')
}

fn before(text: &[u8], byte: u8) -> Vec<u8> {
    text.split(|other| *other == byte).next().unwrap_or_default().to_vec()
}

fn trimmed(segment: &[u8]) -> Vec<u8> {
    let end = segment.iter().rposition(|byte| !b". ".contains(byte)).map_or(0, |at| at + 1);
    segment[..end].to_vec()
}

/// A path as a pattern would have to write it.
pub(crate) fn show(path: &[u8]) -> String {
    path.iter()
        .map(|byte| match byte {
            byte if byte.is_ascii_graphic() => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
