//! How access ends: by a revoke call of every kind, by time, by silence; and that nothing gets through afterwards.

mod aftermath;
mod cases;
mod remount;
mod standing;
