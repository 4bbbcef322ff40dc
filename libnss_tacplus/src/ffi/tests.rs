use super::*;

/// Fills the room as `put_person` does, and answers what C finds there.
fn packed(texts: &[&str], buffer: &mut [u8]) -> Answer<Vec<String>> {
    let start = buffer.as_mut_ptr();
    // SAFETY: a buffer of this length, used by nobody else until the texts are read.
    let mut room = unsafe { Room::new(start.cast(), buffer.len()) };
    let places: Vec<*mut c_char> = texts
        .iter()
        .map(|text| room.text(text))
        .collect::<Answer<_>>()?;
    let read = |place: &*mut c_char| {
        // SAFETY: `Room` ended it with a NUL.
        let text = unsafe { CStr::from_ptr(*place) };
        text.to_string_lossy().into_owned()
    };
    Ok(places.iter().map(read).collect())
}

#[test]
fn texts_fill_the_buffer_to_its_last_byte_and_never_pass_it() {
    let texts = ["alice", "*", "", "/home/alice"];
    let needed = 6 + 2 + 1 + 12;
    let mut bytes = [0x5a; 64];
    assert_eq!(packed(&texts, &mut bytes[..needed]).unwrap(), texts);
    assert_eq!(bytes[needed..], [0x5a; 64 - 21]);
    for size in 0..needed {
        let mut bytes = [0x5a; 64];
        assert_eq!(
            packed(&texts, &mut bytes[..size]),
            Err(Failure::BufferTooSmall)
        );
        assert_eq!(bytes[size..], [0x5a; 64][size..], "{size}");
    }
}

#[test]
fn a_text_that_c_would_read_otherwise_is_not_given() {
    let mut bytes = [0; 64];
    assert_eq!(packed(&["ali\0ce"], &mut bytes), Err(Failure::NotFound));
}

#[test]
fn a_list_starts_where_a_pointer_may_stand() {
    let mut bytes = [0x5a_u8; 64];
    for odd in 0..8 {
        let start = bytes[odd..].as_mut_ptr();
        // SAFETY: within `bytes`.
        let mut room = unsafe { Room::new(start.cast(), 32) };
        let list = room.no_texts().unwrap();
        assert!(list.is_aligned(), "{odd}");
        // SAFETY: `Room` gave it, within `bytes`.
        assert!(unsafe { list.read() }.is_null());
    }
}

#[test]
fn names_that_are_none_are_nobodys() {
    let long = [b'a'; MAX_NAME + 2].map(|byte| if byte == 0 { 1 } else { byte });
    let mut long = long.to_vec();
    long.push(0);
    for (name, expected) in [
        (c"alice".as_ptr(), Ok("alice")),
        (c"".as_ptr(), Ok("")),
        (std::ptr::null(), Err(Failure::NotFound)),
        (c"\xff\xfe".as_ptr(), Err(Failure::NotFound)),
        (long.as_ptr().cast(), Err(Failure::NotFound)),
    ] {
        // SAFETY: null or a C string that outlives the result.
        assert_eq!(unsafe { text(name) }, expected);
    }
}

#[test]
fn a_panic_ends_as_unavailable_and_errno_is_as_it_was() {
    let mut number = 0;
    // SAFETY: always a valid pointer to this thread's errno.
    unsafe { *libc::__errno_location() = libc::EXDEV };
    let harness = std::panic::take_hook();
    // SAFETY: a place for a number.
    let status = unsafe { guard(&raw mut number, &mut || panic!("as a test")) };
    std::panic::set_hook(harness);
    assert_eq!((status, number), (-1, libc::ENOENT));
    // SAFETY: as above.
    assert_eq!(unsafe { *libc::__errno_location() }, libc::EXDEV);
}

#[test]
fn the_number_that_glibc_is_told_may_be_errno_itself() {
    // SAFETY: always a valid pointer to this thread's errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let status = unsafe { guard(errno, &mut || Err(Failure::BufferTooSmall)) };
    // SAFETY: as above.
    assert_eq!((status, unsafe { *errno }), (-2, libc::ERANGE));
}

#[test]
fn group_ids_are_added_once_and_within_the_limit() {
    for (limit, expected) in [(0, &[5, 27, 100][..]), (2, &[5, 27]), (1, &[5])] {
        // SAFETY: malloc'ed room for one id, filled in.
        let mut list = unsafe { libc::malloc(size_of::<gid_t>()) }.cast::<gid_t>();
        // SAFETY: as above.
        unsafe { list.write(5) };
        let (mut start, mut size) = (1, 1);
        // SAFETY: three places of this function.
        let mut groups =
            unsafe { Groups::new(&raw mut start, &raw mut size, &raw mut list, limit) };
        for gid in [27, 5, 27, 100] {
            groups.add(gid).unwrap();
        }
        let filled = usize::try_from(start).unwrap();
        // SAFETY: as many as are filled in.
        let all = unsafe { std::slice::from_raw_parts(list, filled) };
        assert_eq!(all, expected, "limit {limit}");
        // SAFETY: malloc'ed, and not used any more.
        unsafe { libc::free(list.cast()) };
    }
}
