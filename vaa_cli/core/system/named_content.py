"""The base of what names a content that is no file of its own on this machine."""


class NamedContent(str):
    """The name of a content, such as a picture at a URL or in a shard, which reads it when asked.

    As a `str` it goes through all that handles paths, and through pipes to other processes.
    """

    @property
    def is_remote(self) -> bool:
        """Whether reading it may wait for a storage."""
        raise NotImplementedError

    def content(self) -> bytes:
        """The bytes.

        Raises:
            StorageError, PictureError: they cannot be read.
        """
        raise NotImplementedError
