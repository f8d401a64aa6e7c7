//! The protobuf wire format, borrowed: fields of a message one after the other, nothing copied.
//! (protobuf.dev, "Encoding".) Knows no message; `format` does.
//!
//! As elsewhere, the last of a singular field's values wins, unknown fields are skipped, and repeated numbers come
//! packed or one by one. Two values of a singular *message* are not merged: the last one stands alone.

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("the message ends within a field")]
    Truncated,
    #[error("a number has more than 64 bits")]
    Varint,
    #[error("a field has the number 0, or a wire type that does not exist")]
    Key,
    #[error("field {0} has another type than its message says")]
    Type(u32),
    #[error("a text is no UTF-8")]
    Text,
    #[error("groups lie more than {MAX_DEPTH} deep")]
    Depth,
}

/// Groups within groups that are skipped at most; nobody has written any for years.
const MAX_DEPTH: usize = 100;

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// A field: its number and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::Type(self.number)),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Text)
    }

    pub(super) fn varint(self) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(WireError::Type(self.number)),
        }
    }

    /// An `int32` or an enum: the low half of what is written.
    pub(super) fn int32(self) -> Result<i32, WireError> {
        Ok(self.varint()? as i32)
    }

    /// A `sint32`: zigzag.
    pub(super) fn sint32(self) -> Result<i32, WireError> {
        let number = self.varint()? as u32;
        Ok((number >> 1) as i32 ^ -((number & 1) as i32))
    }

    pub(super) fn fixed64(self) -> Result<u64, WireError> {
        match self.value {
            Value::Fixed64(number) => Ok(number),
            _ => Err(WireError::Type(self.number)),
        }
    }

    pub(super) fn double(self) -> Result<f64, WireError> {
        self.fixed64().map(f64::from_bits)
    }

    /// Appends one value of a repeated `fixed64` or `double`, or several that are packed.
    pub(super) fn repeated_fixed64<T>(self, of: fn(u64) -> T, to: &mut Vec<T>) -> Result<(), WireError> {
        let Value::Bytes(packed) = self.value else {
            to.push(of(self.fixed64()?));
            return Ok(());
        };
        let (numbers, rest) = packed.as_chunks::<8>();
        to.extend(numbers.iter().map(|bytes| of(u64::from_le_bytes(*bytes))));
        if rest.is_empty() { Ok(()) } else { Err(WireError::Truncated) }
    }

    /// Appends one value of a repeated `uint64`, or several that are packed.
    pub(super) fn repeated_varint(self, to: &mut Vec<u64>) -> Result<(), WireError> {
        let Value::Bytes(packed) = self.value else {
            to.push(self.varint()?);
            return Ok(());
        };
        let mut packed = Fields { rest: packed };
        while !packed.rest.is_empty() {
            to.push(packed.varint()?);
        }
        Ok(())
    }
}

/// Walks the fields of a message, in the order of its bytes; ends at the first error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// The next field; `None` for a group, which is skipped.
    fn field(&mut self) -> Result<Option<Field<'a>>, WireError> {
        let (number, kind) = self.key()?;
        let value = match kind {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => Value::Bytes(self.delimited()?),
            3 => {
                self.skip_group(number)?;
                return Ok(None);
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireError::Key),
        };
        Ok(Some(Field { number, value }))
    }

    fn key(&mut self) -> Result<(u32, u64), WireError> {
        let key = self.varint()?;
        match u32::try_from(key >> 3) {
            Ok(number) if number > 0 && key <= u64::from(u32::MAX) => Ok((number, key & 7)),
            _ => Err(WireError::Key),
        }
    }

    /// Skips what lies between the start of a group and its end.
    fn skip_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let (number, kind) = self.key()?;
            match kind {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.delimited()?),
                3 if open.len() >= MAX_DEPTH => return Err(WireError::Depth),
                3 => open.push(number),
                4 if number == innermost => drop(open.pop()),
                5 => drop(self.array::<4>()?),
                _ => return Err(WireError::Key),
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        // Nearly every number of a message is a key or a short length: one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut number = 0;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                if index == 9 && *byte > 1 {
                    return Err(WireError::Varint);
                }
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 { WireError::Truncated } else { WireError::Varint })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    fn delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.field() {
                Ok(None) => {}
                Ok(Some(field)) => return Some(Ok(field)),
                Err(error) => {
                    self.rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// The last value of a singular message; empty when it is not there.
pub(super) fn message(of: &[u8], number: u32) -> Result<&[u8], WireError> {
    let mut found: &[u8] = &[];
    for field in Fields::of(of) {
        let field = field?;
        if field.number == number {
            found = field.bytes()?;
        }
    }
    Ok(found)
}

/// Every value of a repeated message, in order.
pub(super) fn messages(of: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], WireError>> {
    Fields::of(of).filter_map(move |field| match field {
        Ok(field) if field.number == number => Some(field.bytes()),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, WireError> {
        Fields::of(message).collect()
    }

    #[test]
    fn fields_are_read_in_order() {
        let field = |number, value| Field { number, value };
        let cases: [(&[u8], &[Field<'_>]); 7] = [
            (&[], &[]),
            (&[0x08, 0x96, 0x01], &[field(1, Value::Varint(150))]),
            (&[0x12, 0x02, b'h', b'i'], &[field(2, Value::Bytes(b"hi"))]),
            (&[0x19, 1, 0, 0, 0, 0, 0, 0, 0], &[field(3, Value::Fixed64(1))]),
            (&[0x25, 7, 0, 0, 0, 0x08, 1], &[field(4, Value::Fixed32(7)), field(1, Value::Varint(1))]),
            (&[0x0b, 0x0c], &[]),
            // A group that holds a group and a number, then a field.
            (&[0x0b, 0x13, 0x08, 1, 0x14, 0x0c, 0x08, 5], &[field(1, Value::Varint(5))]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(fields(bytes).as_deref(), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases: [(&[u8], WireError); 8] = [
            (&[0x08], WireError::Truncated),
            (&[0x08, 0x80], WireError::Truncated),
            (&[0x12, 0x05, b'h'], WireError::Truncated),
            (&[0x19, 1, 2], WireError::Truncated),
            (&[0x00], WireError::Key),
            (&[0x0e], WireError::Key),
            (&[0x0b, 0x14], WireError::Key),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], WireError::Varint),
        ];
        for (bytes, expected) in cases {
            assert_eq!(fields(bytes), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_come_packed_or_one_by_one() {
        let packed = Field { number: 1, value: Value::Bytes(&[1, 0x96, 0x01]) };
        let single = Field { number: 1, value: Value::Varint(7) };
        let mut numbers = Vec::new();
        packed.repeated_varint(&mut numbers).expect("numbers");
        single.repeated_varint(&mut numbers).expect("number");
        assert_eq!(numbers, [1, 150, 7]);
        let odd = Field { number: 1, value: Value::Bytes(&[0; 9]) };
        assert_eq!(odd.repeated_fixed64(f64::from_bits, &mut Vec::new()), Err(WireError::Truncated));
    }

    #[test]
    fn zigzag() {
        for (written, expected) in [(0, 0), (1, -1), (2, 1), (0xffff_ffff, i32::MIN), (0xffff_fffe, i32::MAX)]
        {
            assert_eq!(Field { number: 1, value: Value::Varint(written) }.sint32(), Ok(expected));
        }
    }
}
