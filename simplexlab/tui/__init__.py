"""The terminal interface: launches runs, follows their folders, draws their geometry. It never imports TensorFlow.

`views` turns records into what is shown (numpy alone), `widgets` draws it, `screens` arranges it, `launch` starts and
stops training processes.
"""
