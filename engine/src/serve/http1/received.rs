//! The body of a request. Says when all of it came: from then on the client waits for us, not we for it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::serve::connections::Place;

/// The body of a request as it comes.
pub(super) struct Received {
    body: Incoming,
    place: Arc<Place>,
}

impl Received {
    /// The body of a request on the connection that has this place.
    pub(super) fn new(body: Incoming, place: Arc<Place>) -> Received {
        place.set_answering(body.is_end_stream());
        Received { body, place }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.place.set_answering(true);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
