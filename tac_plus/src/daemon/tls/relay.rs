//! A client's bytes on their way to the TLS library and back.
//!
//! Owns the two ways there are: through memory while the handshake is worked on by another
//! thread, which has no socket, and through the socket from then on.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The way through memory.
#[derive(Clone, Default)]
pub(super) struct Pipe(Arc<Mutex<Bytes>>);

#[derive(Default)]
struct Bytes {
    from_client: Vec<u8>,
    to_client: Vec<u8>,
}

impl Pipe {
    /// What the client sent.
    pub(super) fn put(&self, bytes: Vec<u8>) {
        let mut pipe = self.bytes();
        if pipe.from_client.is_empty() {
            pipe.from_client = bytes;
        } else {
            pipe.from_client.extend_from_slice(&bytes);
        }
    }

    /// What is to be sent to it.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes().to_client)
    }

    fn read(&self, buffer: &mut ReadBuf<'_>) -> bool {
        let from_client = &mut self.bytes().from_client;
        let part = from_client.len().min(buffer.remaining());
        buffer.put_slice(from_client.get(..part).unwrap_or_default());
        from_client.drain(..part);
        if from_client.is_empty() {
            *from_client = Vec::new();
        }
        part > 0
    }

    fn bytes(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the TLS library reads and writes.
pub(crate) struct Relay {
    pipe: Pipe,
    stream: Option<TcpStream>,
}

impl Relay {
    pub(super) const fn new(pipe: Pipe) -> Self {
        Self { pipe, stream: None }
    }

    /// From now on the socket is read, after what has been put into the pipe.
    pub(super) fn connect(&mut self, stream: TcpStream) {
        self.stream = Some(stream);
    }
}

impl AsyncRead for Relay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pipe.read(buffer) {
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_read(context, buffer),
            // Whoever puts more into the pipe asks again.
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Relay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(stream) = &mut self.stream {
            return Pin::new(stream).poll_write(context, bytes);
        }
        self.pipe.bytes().to_client.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}
